-- No two rows of first_contact_resolution share closing day and dimensions.
select closed_day, department_id, agent_id, provider, alias, priority
  from {{ ref('first_contact_resolution') }}
 group by closed_day, department_id, agent_id, provider, alias, priority
having count(*) > 1
