-- No two rows of contact_cohorts share cohort and month.
select cohort_month, month_number
  from {{ ref('contact_cohorts') }}
 group by cohort_month, month_number
having count(*) > 1
