-- Where alerts stand: of each fingerprint the latest transition, the gravest first, and of those the most at stake.
SELECT
    -- the columns of a log row --
FROM alert_current
WHERE length(identity) > 0
    AND startsWith(fingerprint, {fingerprint:String})
    AND ({rule:String} = '' OR rule = {rule:String})
    AND ({owner:String} = '' OR labels['owner'] = {owner:String})
    AND ({account:String} = '' OR account_id = {account:String})
    AND (empty({states:Array(String)}) OR has({states:Array(String)}, state))
ORDER BY indexOf(['info', 'warning', 'critical'], severity) DESC, value_at_risk DESC NULLS LAST, starts_at, fingerprint
LIMIT {limit:UInt64}
