INSERT INTO settings
SELECT {name:String}, {value:String}, {now:DateTime64(3, 'UTC')}
WHERE NOT EXISTS (SELECT 1 FROM settings FINAL WHERE name = {name:String} AND value = {value:String})
