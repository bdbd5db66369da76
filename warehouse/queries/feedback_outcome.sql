SELECT feedback_outcomes[indexOf(feedback_ids, {id:String})] FROM alert_log WHERE i = 0 AND has(feedback_ids, {id:String}) ORDER BY appended_at, n LIMIT 1
