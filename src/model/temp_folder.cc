#include "model/temp_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <system_error>

namespace tessera::model {

Result<std::shared_ptr<const TempFolder>> TempFolder::create() {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::canonical(std::filesystem::temp_directory_path(error), error);
  std::string name = (parent / "tessera-XXXXXX").string();
  if (error || ::mkdtemp(name.data()) == nullptr) {
    return internal_error("cannot make a temporary folder: " +
                          (error ? error.message() : std::generic_category().message(errno)));
  }
  return std::shared_ptr<const TempFolder>(new TempFolder(name));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace tessera::model
