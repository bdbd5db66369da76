SELECT source, age_minutes
FROM source_freshness(at = {at:DateTime64(3, 'UTC')})
