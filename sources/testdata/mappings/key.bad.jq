module {aftershok: "deals"};
.
