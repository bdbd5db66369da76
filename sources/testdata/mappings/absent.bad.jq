include "nowhere";
.
