include "broken_module";
.
