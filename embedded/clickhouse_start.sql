-- Runs as the child's one query. Each statement waits for the one before:
-- listen, tell the parent the ports, then wait until standard input closes.
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT getServerPort('tcp_port'), getServerPort('http_port') INTO OUTFILE '/dev/stdout' APPEND FORMAT TSV;
SELECT count() FROM file('-', 'LineAsString', 'line String') FORMAT Null
