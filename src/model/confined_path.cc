#include "model/confined_path.h"

#include <algorithm>

namespace tessera::model {

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

Result<std::filesystem::path> confine(const std::filesystem::path& folder, const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) {
    return not_found("'" + path.string() + "': " + error.message());
  }
  const auto [end, unused] = std::mismatch(folder.begin(), folder.end(), real.begin(), real.end());
  if (end != folder.end()) {
    return invalid_argument("'" + path.string() + "' leads outside of '" + folder.string() + "'");
  }
  return real;
}

}  // namespace tessera::model
