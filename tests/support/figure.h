// What a test measured, on a line of its own that scripts/gpu-tests takes into its results.
#pragma once

#include <cstdio>
#include <string>

namespace tessera::test_support {

// `json`: one value.
inline void figure(const std::string& name, const std::string& json) {
  std::printf("FIGURE {\"name\":\"%s\",\"value\":%s}\n", name.c_str(), json.c_str());
  std::fflush(stdout);
}

}  // namespace tessera::test_support
