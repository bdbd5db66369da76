-- What arrived at the last offsets below two ends. An offset holds one record for ever, unless its topic is made anew.
SELECT
    groupBitXorIf(record, offset < {first:Int64} AND offset >= {first:Int64} - {length:Int64}),
    groupBitXorIf(record, offset < {second:Int64} AND offset >= {second:Int64} - {length:Int64})
FROM
(
    SELECT DISTINCT offset, cityHash64(offset, id, account_id) AS record
    FROM arrivals
    WHERE topic = {topic:String} AND partition = {partition:Int32}
      AND (offset < {first:Int64} AND offset >= {first:Int64} - {length:Int64} OR offset < {second:Int64} AND offset >= {second:Int64} - {length:Int64})
)
