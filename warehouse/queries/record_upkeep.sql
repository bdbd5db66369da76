INSERT INTO upkeep_runs (version, writer, started_at, finished_at, topics, partitions, offsets, tails, accounts)
SELECT {version:UInt64}, {writer:String}, {started:DateTime64(3, 'UTC')}, {finished:DateTime64(3, 'UTC')},
    {topics:Array(String)}, {partitions:Array(Int32)}, {offsets:Array(Int64)}, {tails:Array(UInt64)}, {accounts:UInt64}
WHERE (SELECT throwIf(max(epoch) != {epoch:UInt64}, 'another writer keeps the links') FROM upkeep_claims) = 0
