// From what a load asks for to the files and the configuration it takes.
#pragma once

#include <filesystem>
#include <span>

#include "base/result.h"
#include "model/lifecycle.h"
#include "model/loader.h"

namespace tessera::model {

inline constexpr std::size_t kMaxBroughtFiles = 1024;
inline constexpr Bytes kMaxBroughtBytes{std::uint64_t{4} << 30};

// Where the model lies, and what holds it there, if the request brings the files.
struct OpenFolder {
  ModelFolder folder;
  std::shared_ptr<const TempFolder> brought;
};

// Error: kNotFound where no repository has the model and the request does not bring it; kInvalidArgument, kTooLarge.
Result<OpenFolder> open_folder(const LoadRequest& request, std::span<const std::filesystem::path> repositories);

// Reads the configuration. Error: what is wrong with it.
Result<ModelSource> open_source(const LoadRequest& request, const OpenFolder& open);

}  // namespace tessera::model
