-- How each kind of record was last synchronized, newest first; for managers.
select entity_type, sync_status, last_sync_timestamp, total_records, successful_records, failed_records,
       sync_duration as milliseconds, updated_at
  from public.sync_states
 order by updated_at desc;
