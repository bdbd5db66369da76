-- Statements of earlier epochs that the server still runs.
SELECT count()
FROM system.processes
WHERE startsWith(query_id, {prefix:String}) AND toUInt64OrZero(splitByChar('/', substring(query_id, length({prefix:String}) + 1))[1]) < {epoch:UInt64}
