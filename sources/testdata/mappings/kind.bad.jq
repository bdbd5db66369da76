module {aftershock: "invoices"};
.
