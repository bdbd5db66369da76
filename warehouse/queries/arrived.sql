SELECT DISTINCT id, toString(kind) AS kind, account_id
FROM arrivals
WHERE topic = {topic:String} AND partition = {partition:Int32} AND offset >= {from:Int64} AND offset < {to:Int64}
