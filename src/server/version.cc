#include "server/version.h"

#include <charconv>
#include <string>

namespace tessera::server {

Result<std::optional<std::int64_t>> parse_version(std::string_view text) {
  if (text.empty()) {
    return std::optional<std::int64_t>();
  }
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 1) {
    return invalid_argument("failed to get model version from specified version string '" + std::string(text) +
                            "': a version is a number of at least 1");
  }
  return std::optional(version);
}

}  // namespace tessera::server
