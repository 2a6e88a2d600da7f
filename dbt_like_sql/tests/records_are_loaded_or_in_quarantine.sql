-- What the newest load of an hour received is in the tables or put aside.
select entity, hour_start, expected, loaded, quarantined
  from {{ ref('load_completeness') }}
 where expected <> loaded + quarantined
