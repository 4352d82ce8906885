// Processor time of this process and of its threads.
#pragma once

#include <string_view>

namespace tessera::measure {

double process_cpu_seconds();

// Of the threads whose names end so, the one that has used most, in steps of 10 ms; 0 where there is none.
double busiest_thread_seconds(std::string_view name_end);

}  // namespace tessera::measure
