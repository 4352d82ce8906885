#include "model/model_source.h"

#include <utility>

#include "model/confined_path.h"
#include "model_config.pb.h"

namespace tessera::model {
namespace {

namespace fs = std::filesystem;

// Writes the files of a request into a folder of their own, as a repository with this one model.
Result<std::shared_ptr<const TempFolder>> write_brought(const LoadRequest& request) {
  if (!is_plain_name(request.name) || request.name.front() == '.') {
    return invalid_argument("'" + request.name.substr(0, 80) + "' cannot be the name of a model");
  }
  if (request.files.size() > kMaxBroughtFiles) {
    return Error(ErrorCode::kTooLarge, "more than " + std::to_string(kMaxBroughtFiles) + " files");
  }
  std::uint64_t total = 0;
  for (const auto& [path, content] : request.files) total += content.size();
  if (total > kMaxBroughtBytes.value) {
    return Error(ErrorCode::kTooLarge, "files of more than " + std::to_string(kMaxBroughtBytes.value) + " bytes");
  }
  TESSERA_ASSIGN_OR_RETURN(auto folder, TempFolder::create());
  for (const auto& [path, content] : request.files) {
    const std::size_t slash = path.find('/');
    const std::string version = path.substr(0, std::min(slash, path.size()));
    const std::string file = slash == std::string::npos ? "" : path.substr(slash + 1);
    const bool number = !version.empty() && version.size() <= 18 && version.front() != '0' &&
                        version.find_first_not_of("0123456789") == std::string::npos;
    if (!number || !is_plain_name(file)) {
      return invalid_argument("file '" + path.substr(0, 256) + "': must be <version>/<file name>");
    }
    std::error_code error;
    const fs::path target = folder->path() / request.name / version;
    fs::create_directories(target, error);
    if (error) return internal_error("cannot make '" + target.string() + "': " + error.message());
    TESSERA_RETURN_IF_ERROR(write_atomically(target / file, content));
  }
  return folder;
}

}  // namespace

Result<OpenFolder> open_folder(const LoadRequest& request, std::span<const fs::path> repositories) {
  OpenFolder open;
  if (request.files.empty()) {
    TESSERA_ASSIGN_OR_RETURN(open.folder, find_model(repositories, request.name));
    return open;
  }
  if (!request.config_json) {
    return invalid_argument("files can only be brought together with a config");
  }
  TESSERA_ASSIGN_OR_RETURN(open.brought, write_brought(request));
  TESSERA_ASSIGN_OR_RETURN(open.folder, find_model(std::span(&open.brought->path(), 1), request.name));
  return open;
}

Result<ModelSource> open_source(const LoadRequest& request, const OpenFolder& open) {
  ModelSource source;
  source.folder = open.folder;
  source.brought = open.brought;
  TESSERA_ASSIGN_OR_RETURN(source.fingerprint, fingerprint(source.folder));
  source.overridden = request.config_json.has_value();
  if (request.config_json) {
    TESSERA_ASSIGN_OR_RETURN(source.written, parse_config_json(*request.config_json));
  } else {
    TESSERA_ASSIGN_OR_RETURN(const auto text, read_config(source.folder));
    TESSERA_ASSIGN_OR_RETURN(source.written, parse_config_text(text.value_or("")));
  }
  TESSERA_ASSIGN_OR_RETURN(source.files, choose_files(request.name, *source.written.proto));
  return source;
}

}  // namespace tessera::model
