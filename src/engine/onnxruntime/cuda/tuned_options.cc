#include "engine/onnxruntime/cuda/tuned_options.h"

#include <unistd.h>

#include <fstream>
#include <system_error>

#include "base/log.h"

namespace tessera::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFirstLine = "tessera provider options 1";
constexpr std::size_t kMostBuckets = 1024;

fs::path file_in(const fs::path& cache_dir, const std::string& digest, const std::string& processor) {
  return cache_dir.empty() || digest.empty()
             ? fs::path()
             : cache_dir / ("options-" + digest + "-" + optimization_key("options " + processor));
}

}  // namespace

TunedOptions::TunedOptions(const fs::path& cache_dir, const std::string& digest, const std::string& processor)
    : file_(file_in(cache_dir, digest, processor)) {
  if (!file_.empty()) {
    read();
  }
}

// A line a bucket: its rows, and the options' name.
void TunedOptions::read() {
  std::ifstream in(file_);
  std::string line;
  if (!std::getline(in, line) || line != kFirstLine) {
    return;
  }
  std::map<std::int32_t, ProviderOptions> found;
  std::int32_t bucket = 0;
  std::string name;
  while (found.size() < kMostBuckets && in >> bucket >> name) {
    const auto choice = ProviderOptions::from(name);
    if (bucket < 1 || !choice) {
      return;
    }
    found.insert_or_assign(bucket, *choice);
  }
  if (in.eof()) {
    choices_ = std::move(found);
  }
}

std::optional<ProviderOptions> TunedOptions::of(std::int32_t bucket) const {
  const std::lock_guard lock(mutex_);
  const auto found = choices_.find(bucket);
  return found == choices_.end() ? std::nullopt : std::optional(found->second);
}

void TunedOptions::keep(std::int32_t bucket, const ProviderOptions& choice) {
  const std::lock_guard lock(mutex_);
  choices_.insert_or_assign(bucket, choice);
  if (!file_.empty()) {
    write();
  }
}

// Whoever reads meanwhile, in this process or another, sees one whole file.
void TunedOptions::write() const {
  const fs::path part = file_.string() + "." + std::to_string(::getpid()) + ".part";
  std::error_code failed;
  fs::create_directories(file_.parent_path(), failed);
  {
    std::ofstream out(part);
    out << kFirstLine << '\n';
    for (const auto& [bucket, choice] : choices_) {
      out << bucket << ' ' << choice.name() << '\n';
    }
    if (!out.flush()) {
      failed = std::make_error_code(std::errc::io_error);
    }
  }
  if (!failed) {
    fs::rename(part, file_, failed);
  }
  if (failed) {
    log(LogLevel::kWarning, "the fastest options of a model could not be kept; its next load tries them again",
        {{"file", file_.string()}, {"reason", failed.message()}});
    fs::remove(part, failed);
  }
}

}  // namespace tessera::engine
