// Lists of processors as users write them.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace tessera::apps {

// "0,2-5" is 0, 2, 3, 4, 5: the form of taskset and of cgroups. Error: kInvalidArgument.
Result<std::vector<int>> parse_core_list(std::string_view text);

}  // namespace tessera::apps
