-- The chains of a contact hold as many chats as the contact has.
with chains as (
    select contact_id, sum(chats) as chats
      from {{ ref('contact_chains') }}
     group by contact_id
)

select frequency.contact_id, frequency.chats, chains.chats as in_chains
  from {{ ref('contact_frequency') }} as frequency
  left join chains on chains.contact_id = frequency.contact_id
 where chains.chats is distinct from frequency.chats
