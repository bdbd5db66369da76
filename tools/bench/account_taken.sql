-- Records that are stored, once the links follow from all of them.
SELECT if((SELECT sum(o) FROM (SELECT arrayJoin(offsets) AS o FROM (SELECT offsets FROM upkeep_runs ORDER BY version DESC LIMIT 1))) = n, n, 0)
FROM (SELECT (SELECT count() FROM deal_events) + (SELECT count() FROM ticket_events) + (SELECT count() FROM rejected_events FINAL) AS n)
FORMAT TSVRaw
