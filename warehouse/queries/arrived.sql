SELECT DISTINCT toString(kind) AS kind, id, account_id
FROM arrivals
WHERE topic = {topic:String} AND partition = {partition:Int32} AND offset >= {from:Int64} AND offset < {to:Int64}
