#include "device/cuda/pointer_audit.h"

#include <cstring>
#include <vector>

#include "device/cuda/graph_edit.h"

namespace tessera::device {
namespace {

constexpr std::size_t kWord = sizeof(CUdeviceptr);

// Owned by one thread.
class PointerAudit {
 public:
  PointerAudit(const Driver& driver, std::span<const NamedRange> foreign) : driver_(driver), foreign_(foreign) {}

  Status check_kernel(CUgraphNode node) {
    CUDA_KERNEL_NODE_PARAMS params{};
    TESSERA_RETURN_IF_ERROR(driver_.check(driver_.graph_kernel_node_get_params(node, &params), "read a kernel node"));
    const Status checked = params.kernelParams != nullptr ? check_arguments(params) : check_buffer(params.extra);
    return checked.ok() ? checked : Status(checked.error().in(name_of(params)));
  }

  Status check_memset(CUgraphNode node) {
    CUDA_MEMSET_NODE_PARAMS params{};
    TESSERA_RETURN_IF_ERROR(driver_.check(driver_.graph_memset_node_get_params(node, &params), "read a memset node"));
    return check_address(params.dst);
  }

  Status check_copy(CUgraphNode node) {
    CUDA_MEMCPY3D params{};
    TESSERA_RETURN_IF_ERROR(driver_.check(driver_.graph_memcpy_node_get_params(node, &params), "read a copy node"));
    TESSERA_RETURN_IF_ERROR(check_address(params.srcDevice));
    return check_address(params.dstDevice);
  }

  Status check_node(CUgraphNode node, CUgraphNodeType type) {
    switch (type) {
      case CU_GRAPH_NODE_TYPE_KERNEL:
        return check_kernel(node);
      case CU_GRAPH_NODE_TYPE_MEMSET:
        return check_memset(node);
      case CU_GRAPH_NODE_TYPE_MEMCPY:
        return check_copy(node);
      default:
        return ok_status();
    }
  }

  std::size_t words() const { return words_; }

 private:
  Status check_arguments(const CUDA_KERNEL_NODE_PARAMS& params) {
    for (std::size_t index = 0;; ++index) {
      std::size_t offset = 0;
      std::size_t size = 0;
      const CUresult found = params.kern != nullptr ? driver_.kernel_get_param_info(params.kern, index, &offset, &size)
                                                    : driver_.func_get_param_info(params.func, index, &offset, &size);
      if (found == CUDA_ERROR_INVALID_VALUE) {  // there is no argument of that number
        return ok_status();
      }
      TESSERA_RETURN_IF_ERROR(driver_.check(found, "read a kernel's arguments"));
      const std::span bytes(static_cast<const std::byte*>(params.kernelParams[index]), size);
      if (const Status checked = check_bytes(bytes, (kWord - offset % kWord) % kWord); !checked.ok()) {
        return checked.error().in("argument " + std::to_string(index));
      }
    }
  }

  // Arguments in one buffer: a list of keys and values that ends with a null key.
  Status check_buffer(void** extra) {
    const std::byte* begin = nullptr;
    std::size_t size = 0;
    for (; extra != nullptr && *extra != CU_LAUNCH_PARAM_END; extra += 2) {
      if (extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER) {
        begin = static_cast<const std::byte*>(extra[1]);
      } else if (extra[0] == CU_LAUNCH_PARAM_BUFFER_SIZE) {
        size = *static_cast<const std::size_t*>(extra[1]);
      }
    }
    return begin == nullptr ? ok_status() : check_bytes({begin, size}, 0);
  }

  Status check_bytes(std::span<const std::byte> bytes, std::size_t first) {
    for (std::size_t at = first; at + kWord <= bytes.size(); at += kWord) {
      CUdeviceptr word = 0;
      std::memcpy(&word, bytes.data() + at, kWord);
      if (const Status found = check_address(word); !found.ok()) {
        return found.error().in("byte " + std::to_string(at) + " of " + std::to_string(bytes.size()));
      }
    }
    return ok_status();
  }

  Status check_address(CUdeviceptr word) {
    ++words_;
    for (const NamedRange& range : foreign_) {
      if (word >= range.begin && word < range.end) {
        return unsupported("it reads or writes " + range.name + ", which is not its own");
      }
    }
    return ok_status();
  }

  std::string name_of(const CUDA_KERNEL_NODE_PARAMS& params) const {
    const char* name = nullptr;
    const bool known = params.kern != nullptr && driver_.kernel_get_name(&name, params.kern) == CUDA_SUCCESS;
    return known && name != nullptr ? std::string("kernel ") + name : "a kernel";
  }

  const Driver& driver_;
  const std::span<const NamedRange> foreign_;
  std::size_t words_ = 0;
};

}  // namespace

Result<std::size_t> check_pointers(const Gpu& gpu, CUgraph graph, std::span<const NamedRange> foreign) {
  const Driver& driver = gpu.driver();
  const CurrentContext current(gpu);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> nodes, nodes_of(driver, graph));
  PointerAudit audit(driver, foreign);
  for (const CUgraphNode node : nodes) {
    CUgraphNodeType type{};
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_node_get_type(node, &type), "read a node's kind"));
    TESSERA_RETURN_IF_ERROR(audit.check_node(node, type));
  }
  return audit.words();
}

}  // namespace tessera::device
