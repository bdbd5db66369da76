# Prints what lift_test.go expects: R 4.2.2, survival 3.5-3. Run it in this folder.
library(survival)
d <- read.csv('stays.csv')
print(packageVersion('survival')); print(R.version.string)
m <- coxph(Surv(from,to,wrong) ~ alerted + cluster(account), data=d, ties='breslow')
print(summary(m))
