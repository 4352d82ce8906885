#include "apps/workload_files.h"

#include <array>
#include <cmath>
#include <ctime>
#include <fstream>

#include "loadgen/trace.h"
#include "model/files.h"

namespace tessera::apps {

namespace fs = std::filesystem;

Result<std::string> read_text(const fs::path& path) {
  auto text = model::read_file(path, Bytes{loadgen::kMaxTraceBytes});
  return text.ok() ? std::move(text) : Result<std::string>(text.error().in(path.string()));
}

Result<loadgen::Workload> read_workload(const fs::path& path) {
  TESSERA_ASSIGN_OR_RETURN(const std::string text, read_text(path));
  const fs::path folder = path.parent_path();
  return loadgen::parse_workload(text, path.string(),
                                 [&](const std::string& name) { return read_text(folder / name); });
}

Status write_text(const fs::path& path, const std::string& text, const std::string& flag) {
  if (path.empty()) {
    return ok_status();
  }
  std::ofstream file(path);
  file << text;
  file.close();
  return file ? ok_status() : Status(invalid_argument("cannot write " + path.string() + "; choose another " + flag));
}

Duration seconds(double value) { return Duration(std::llround(value * 1e9)); }

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 16> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

}  // namespace tessera::apps
