#include "base/imports.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace tessera {
namespace {

// The library's tables, as the ELF specification names their parts.
struct Tables {
  const char* strings = nullptr;
  const ElfW(Sym) * symbols = nullptr;
  std::span<const ElfW(Rela)> calls;  // what is called by way of the procedure linkage table
  std::span<const ElfW(Rela)> data;   // the rest: also calls, where it was built without that table
};

std::span<const ElfW(Rela)> relocations(const ElfW(Rela) * first, std::size_t bytes) {
  return first == nullptr ? std::span<const ElfW(Rela)>() : std::span(first, bytes / sizeof(ElfW(Rela)));
}

Tables tables_of(const link_map& library) {
  Tables tables;
  const ElfW(Rela)* calls = nullptr;
  const ElfW(Rela)* data = nullptr;
  std::size_t call_bytes = 0;
  std::size_t data_bytes = 0;
  for (const ElfW(Dyn)* entry = library.l_ld; entry->d_tag != DT_NULL; ++entry) {
    // The loader has turned these into addresses already, but for what lies in memory that it may not write.
    const std::uintptr_t value = entry->d_un.d_ptr;
    const std::uintptr_t address = value < library.l_addr ? library.l_addr + value : value;
    switch (entry->d_tag) {
      case DT_STRTAB:
        tables.strings = reinterpret_cast<const char*>(address);
        break;
      case DT_SYMTAB:
        tables.symbols = reinterpret_cast<const ElfW(Sym)*>(address);
        break;
      case DT_JMPREL:
        calls = reinterpret_cast<const ElfW(Rela)*>(address);
        break;
      case DT_PLTRELSZ:
        call_bytes = entry->d_un.d_val;
        break;
      case DT_RELA:
        data = reinterpret_cast<const ElfW(Rela)*>(address);
        break;
      case DT_RELASZ:
        data_bytes = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  tables.calls = relocations(calls, call_bytes);
  tables.data = relocations(data, data_bytes);
  return tables;
}

// Pages that hold addresses of functions are often read-only once a library has been loaded.
Status write_slot(void** slot, void* value) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  void* const begin = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(slot) / page * page);
  if (::mprotect(begin, page, PROT_READ | PROT_WRITE) != 0) {
    return internal_error(std::string("a library's imports cannot be changed: ") + std::strerror(errno));
  }
  std::atomic_ref(*slot).store(value);
  return ok_status();
}

}  // namespace

Result<LoadedLibrary> LoadedLibrary::find(std::string_view file) {
  std::pair<std::string_view, std::string> search{file, {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t /*size*/, void* data) {
        auto& [wanted, found] = *static_cast<std::pair<std::string_view, std::string>*>(data);
        const std::string_view path = info->dlpi_name;
        if (path.substr(path.rfind('/') + 1) == wanted) {
          found = path;
        }
        return found.empty() ? 0 : 1;
      },
      &search);
  void* handle = search.second.empty() ? nullptr : ::dlopen(search.second.c_str(), RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) {
    return Error(ErrorCode::kNotFound, "no library " + std::string(file) + " is loaded");
  }
  return LoadedLibrary(std::move(search.second), handle);
}

void* LoadedLibrary::imported(const char* symbol) const { return ::dlsym(handle_, symbol); }

Result<std::size_t> LoadedLibrary::replace(std::span<const ImportReplacement> replacements) const {
  link_map* library = nullptr;
  if (::dlinfo(handle_, RTLD_DI_LINKMAP, &library) != 0) {
    return internal_error(path_ + ": " + ::dlerror());
  }
  const Tables tables = tables_of(*library);
  std::size_t changed = 0;
  for (const auto& part : {tables.calls, tables.data}) {
    for (const ElfW(Rela) & relocation : part) {
      const auto type = ELF64_R_TYPE(relocation.r_info);
      if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) {
        continue;
      }
      const char* name = tables.strings + tables.symbols[ELF64_R_SYM(relocation.r_info)].st_name;
      const auto found = std::find_if(replacements.begin(), replacements.end(),
                                      [&](const auto& each) { return std::strcmp(each.symbol, name) == 0; });
      auto* const slot = reinterpret_cast<void**>(library->l_addr + relocation.r_offset);
      if (found != replacements.end() && *slot != found->with) {
        TESSERA_RETURN_IF_ERROR(write_slot(slot, found->with));
        ++changed;
      }
    }
  }
  return changed;
}

}  // namespace tessera
