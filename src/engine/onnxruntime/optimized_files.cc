#include "engine/onnxruntime/optimized_files.h"

#include <fcntl.h>
#include <onnxruntime_session_options_config_keys.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/log.h"
#include "engine/onnxruntime/file_bytes.h"

namespace tessera::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGraph = "model.onnx";
constexpr const char* kWeights = "weights";
constexpr const char* kChecksums = "checksums";
// Raised when what these files hold, or how they are made, changes.
constexpr int kFormat = 1;
// Smaller initialisers stay in the graph file, where shape inference looks for them.
constexpr const char* kExternalFrom = "1024";

std::string hex(std::uint64_t value) {
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

// The first processor's model and features as the kernel names them.
std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  std::string words;
  for (std::string line; std::getline(info, line) && !line.empty();) {
    if (line.starts_with("flags") || line.starts_with("model name") || line.starts_with("Features") ||
        line.starts_with("CPU part")) {
      words += line;
    }
  }
  return words;
}

Result<std::string> checksums(const fs::path& folder) {
  std::string out;
  for (const char* name : {kGraph, kWeights}) {
    std::error_code failed;
    if (!fs::exists(folder / name, failed)) {
      out += std::string(name) + " none\n";  // a model without large initialisers has no weights file
      continue;
    }
    TESSERA_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::map(folder / name));
    out += std::string(name) + " " + std::to_string(file.bytes().size()) + " " +
           hex(XXH3_64bits(file.bytes().data(), file.bytes().size())) + "\n";
  }
  return out;
}

bool is_complete(const fs::path& folder) {
  std::ifstream in(folder / kChecksums, std::ios::binary);
  if (!in) {
    return false;
  }
  std::stringstream noted;
  noted << in.rdbuf();
  const auto found = checksums(folder);
  return found.ok() && *found == noted.str();
}

// What a power failure must not leave half written behind a name that says it is complete.
void flush_to_disk(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

Result<fs::path> make_folder(const fs::path& parent) {
  std::error_code failed;
  fs::create_directories(parent, failed);
  std::string name = (parent / "tessera-onnx-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    return internal_error("cannot make a folder in '" + parent.string() +
                          "': " + std::generic_category().message(errno));
  }
  return fs::path(name);
}

Status optimize(const Environment& environment, const OptimizedFor& target, const fs::path& source,
                const fs::path& folder) {
  return guarded(Blame::kModelFile, [&] {
    Ort::SessionOptions options = environment.session_options();
    options.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
    options.SetOptimizedModelFilePath((folder / kGraph).c_str());
    options.AddConfigEntry(kOrtSessionOptionsOptimizedModelExternalInitializersFileName, kWeights);
    options.AddConfigEntry(kOrtSessionOptionsOptimizedModelExternalInitializersMinSizeInBytes, kExternalFrom);
    // This session never runs: it is spared the copies that a run would want.
    options.AddConfigEntry(kOrtSessionOptionsConfigDisablePrepacking, "1");
    target.prepare(options);
    const Ort::Session session(environment.env(), source.c_str(), options);
  });
}

}  // namespace

std::string optimization_key(const std::string& what) {
  const std::string words = what + " ort " + Ort::GetVersionString() + " format " + std::to_string(kFormat);
  return hex(XXH3_64bits(words.data(), words.size()));
}

OptimizedFor optimized_for_host() { return {.key = optimization_key(processor())}; }

Result<OptimizedFiles> OptimizedFiles::make(const Environment& environment, const OptimizedFor& target,
                                            const fs::path& source, const std::string& digest,
                                            const fs::path& cache_dir) {
  std::error_code failed;
  const bool keep = !digest.empty() && !cache_dir.empty();
  const fs::path entry = keep ? cache_dir / ("onnx-" + digest + "-" + target.key) : fs::path();
  if (keep && is_complete(entry)) {
    return OptimizedFiles(entry, false);
  }
  TESSERA_ASSIGN_OR_RETURN(fs::path folder, make_folder(keep ? cache_dir : fs::temp_directory_path(failed)));
  OptimizedFiles made(std::move(folder), true);
  TESSERA_RETURN_IF_ERROR(optimize(environment, target, source, made.folder_));
  if (!keep) {
    return made;
  }
  TESSERA_ASSIGN_OR_RETURN(const std::string sums, checksums(made.folder_));
  std::ofstream(made.folder_ / kChecksums, std::ios::binary) << sums;
  for (const char* name : {kGraph, kWeights, kChecksums}) {
    flush_to_disk(made.folder_ / name);
  }
  // A damaged entry, if there is one, goes; models that still use it keep what they mapped. Where another process was
  // faster, or the folder cannot be moved, this copy serves from where it is.
  if (!is_complete(entry)) {
    fs::remove_all(entry, failed);
  }
  fs::rename(made.folder_, entry, failed);
  if (failed) {
    log(LogLevel::kInfo, "an optimised model could not be kept",
        {{"entry", entry.string()}, {"reason", failed.message()}});
    return made;
  }
  made.temporary_ = false;
  made.folder_ = entry;
  return made;
}

OptimizedFiles::~OptimizedFiles() {
  if (temporary_) {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
}

}  // namespace tessera::engine
