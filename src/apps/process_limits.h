#pragma once

namespace tessera::apps {

// What a process with many connections needs of the system, before there are threads.
void prepare_process();

}  // namespace tessera::apps
