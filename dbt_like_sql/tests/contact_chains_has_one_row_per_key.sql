-- No two rows of contact_chains share contact and chain.
select contact_id, chain_number
  from {{ ref('contact_chains') }}
 group by contact_id, chain_number
having count(*) > 1
