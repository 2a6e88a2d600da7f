-- As many chats are of new contacts as there are contacts, and each chat is new, returning or without a contact.
with days as (
    select coalesce(sum(new_contacts), 0) as new_contacts,
           coalesce(sum(chats - new_contacts - returning_chats - without_contact), 0) as others
      from {{ ref('new_and_returning') }}
),

contacts as (
    select count(*) as contacts
      from {{ ref('contact_frequency') }}
)

select days.new_contacts, days.others, contacts.contacts
  from days
 cross join contacts
 where days.new_contacts <> contacts.contacts
    or days.others <> 0
