// Which options of the provider make a model fastest, by bucket, as an earlier load found out: a small file of the
// cache.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "engine/onnxruntime/cuda/provider.h"

namespace tessera::engine {

// Thread-safe. A file that is missing, damaged or of another build says nothing; one that cannot be
// written is told in the log, and nothing else comes of it.
class TunedOptions {
 public:
  // An empty folder or digest: nothing is read, nothing kept. `processor`: what the figures hold for.
  TunedOptions(const std::filesystem::path& cache_dir, const std::string& digest, const std::string& processor);

  std::optional<ProviderOptions> of(std::int32_t bucket) const;
  void keep(std::int32_t bucket, const ProviderOptions& choice);

 private:
  void read();
  void write() const;

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::map<std::int32_t, ProviderOptions> choices_;
};

}  // namespace tessera::engine
