SELECT
    code, topic, count(), min(rejected_at), max(rejected_at),
    countIf(state = 'open'), countIf(state = 'sent'), countIf(state = 'accepted'), countIf(state = 'refused_again'),
    countIf(replay_of != ''),
    (argMax(tuple(position, field, reason), tuple(state IN ('open', 'sent'), rejected_at, position)) AS example).1, example.2, example.3
FROM dead_letters
WHERE rejected_at >= {since:DateTime64(3, 'UTC')} AND ({code:String} = '' OR code = {code:String}) AND ({topic:String} = '' OR topic = {topic:String})
GROUP BY code, topic
ORDER BY countIf(state = 'open') DESC, count() DESC, code, topic
