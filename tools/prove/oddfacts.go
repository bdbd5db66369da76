package main

var oddFacts = subject{"odd-facts", "one odd fact or one large client does not silence the others", []proof{
	{"sizes: an alert is a small record, whatever the facts hold", "TestAnAlertIsASmallRecord passes", passes("./churn/alert", "TestAnAlertIsASmallRecord")},
	{"sizes: an id or name of more than 1 KiB is a dead letter with a code", "TestTextTooLong passes", passes("./churn", "TestTextTooLong")},
	{"sizes: a record that a topic refuses holds up no other, over restarts, and is sent again on request", "TestARefusedRecordHoldsUpNoOther passes",
		passes("./publish", "TestARefusedRecordHoldsUpNoOther")},
	{"sizes: what was refused is listed and sent again by commands", "TestWebhookIsToldOnceByTheRealProgram passes", passes("./cmd/aftershock", "TestWebhookIsToldOnceByTheRealProgram")},
	{"arithmetic: no accepted value makes a view or a rule fail", "TestNoAcceptedValueMakesAnythingFail passes", passes("./cmd/aftershock", "TestNoAcceptedValueMakesAnythingFail")},
	{"arithmetic: a large price shows its true yearly value", "TestALargePriceShowsItsTrueYearlyValue passes", passes("./cmd/aftershock", "TestALargePriceShowsItsTrueYearlyValue")},
	{"one bad row holds its own alert alone", "TestABadRowHoldsItsOwnAlert passes", passes("./rules/engine", "TestABadRowHoldsItsOwnAlert")},
	{"a topic that is not there holds up no other, over restarts, and gets everything when it is there", "TestATopicFailsAlone passes", passes("./publish", "TestATopicFailsAlone")},
	{"memory: a rule that returns too many rows fails, and its alerts hold", "TestARuleMayNotReturnTooManyRows passes", passes("./warehouse", "TestARuleMayNotReturnTooManyRows")},
	{"time: a fact is not known ahead of the clock", "TestAFactIsNotKnownAheadOfTheClock passes", passes("./consumers", "TestAFactIsNotKnownAheadOfTheClock")},
	{"time: feedback is not before its alert", "TestFeedbackIsNotBeforeItsAlert passes", passes("./rules/engine", "TestFeedbackIsNotBeforeItsAlert")},
	{"Alertmanager: thousands of alerts stand, and are told again", "TestAlertmanagerHoldsThousandsOfAlerts passes", passes("./publish", "TestAlertmanagerHoldsThousandsOfAlerts")},
	{"Alertmanager: what is too large at once is halved", "TestAlertmanagerTakesLessAtOnce passes", passes("./publish", "TestAlertmanagerTakesLessAtOnce")},
	{"a webhook outlasts a rolling deploy", "TestWebhookOutlastsARollingDeploy passes", passes("./publish", "TestWebhookOutlastsARollingDeploy")},
}}
