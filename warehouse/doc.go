// Package warehouse keeps events, links and the alert log in ClickHouse.
//
// Events are append-only (migrations/00001). Upkeep derives from them what was the present of every deal, attempt and
// link, and from when to when that was known (migrations/00002). Views answer for an instant from those versions, so that
// live evaluation, backtests and rule tests run the same SQL. The alert log (migrations/00003) is state and outbox at once.
//
// All SQL stands in .sql files: migrations change tables once, views are replaced as a whole at every migration, queries
// are what the code runs. Limits: one database for each deployment, one writer of versions and of the alert log.
package warehouse
