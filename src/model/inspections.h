// What was read out of model files, remembered while they stay the same: every device of a server loads the same ones,
// and a model that left for want of memory comes back.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "model/repository.h"

namespace tessera::model {

// What a version's files say of themselves.
struct Inspection {
  VersionFiles found;  // with its external data
  engine::FileSignature signature;
  std::string digest;  // of the content
};

// Thread-safe; one for all devices, whose engines are of one kind.
class Inspections {
 public:
  // Beyond that many the first by their paths go; they are read anew.
  static constexpr std::size_t kMost = 1024;

  // Of that file as it is now; nothing where it, or what its external data's names lead to, is not what it was.
  std::optional<Inspection> find(const VersionFiles& model) const;
  void keep(const Inspection& inspection);

 private:
  mutable std::mutex mutex_;
  std::map<std::filesystem::path, Inspection> kept_;
};

}  // namespace tessera::model
