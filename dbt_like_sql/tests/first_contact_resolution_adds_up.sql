-- Each closed chat is resolved, repeated, open or reopened.
select closed_day, closed, resolved_at_first_contact, repeated, n_open, n_reopened
  from {{ ref('first_contact_resolution') }}
 where closed <> resolved_at_first_contact + repeated + n_open + n_reopened
