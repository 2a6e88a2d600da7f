-- Indexes by use since the statistics were last reset: those at the top cost writes and serve no query. An index that
-- keeps a key unique is needed all the same.
select usage.schemaname as schema,
       usage.relname as table,
       usage.indexrelname as index,
       usage.idx_scan as scans,
       usage.idx_tup_read as entries_read,
       usage.idx_tup_fetch as rows_fetched,
       pg_size_pretty(pg_relation_size(usage.indexrelid)) as size,
       about.indisunique as is_unique
  from pg_stat_user_indexes as usage
  join pg_index as about on about.indexrelid = usage.indexrelid
 order by usage.idx_scan, pg_relation_size(usage.indexrelid) desc;
