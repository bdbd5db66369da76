WITH argMax(tuple(position, d.field, d.reason), tuple(state IN ('open', 'sent'), rejected_at, position)) AS newest
SELECT
    code, topic, count() AS letters, min(rejected_at) AS first, max(rejected_at) AS last,
    countIf(state = 'open') AS open, countIf(state = 'sent') AS sent, countIf(state = 'accepted') AS accepted,
    countIf(state = 'refused_again') AS refused_again, countIf(replay_of != '') AS replays,
    newest.1 AS example, newest.2 AS field, newest.3 AS reason
FROM dead_letters AS d
WHERE rejected_at >= {since:DateTime64(3, 'UTC')} AND ({code:String} = '' OR code = {code:String}) AND ({topic:String} = '' OR topic = {topic:String})
GROUP BY code, topic
ORDER BY countIf(state = 'open') DESC, count() DESC, code, topic
