-- No two rows of arrival_heat_map share month, weekday and hour.
select month, weekday, hour
  from {{ ref('arrival_heat_map') }}
 group by month, weekday, hour
having count(*) > 1
