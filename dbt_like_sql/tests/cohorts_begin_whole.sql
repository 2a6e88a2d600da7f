-- In its own month everybody of a cohort has written.
select cohort_month, contacts, writing_contacts
  from {{ ref('contact_cohorts') }}
 where month_number = 0
   and writing_contacts <> contacts
