#include "device/cuda/plan_frame.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "base/check.h"
#include "device/cuda/graph_edit.h"
#include "device/cuda/plan_frame_ptx.h"

namespace tessera::device {
namespace {

constexpr unsigned kThreads = 512;         // a block, as plan_frame.cu has it
constexpr std::uint64_t kPerBlock = 8192;  // bytes: 16 a thread
constexpr std::uint64_t kMostBlocks = 64;  // the bus gives no more to more

unsigned blocks_for(Bytes bytes) {
  return static_cast<unsigned>(std::clamp<std::uint64_t>((bytes.value + kPerBlock - 1) / kPerBlock, 1, kMostBlocks));
}

CUDA_KERNEL_NODE_PARAMS node_of(CUkernel kernel, CUcontext context, unsigned blocks, void** values) {
  CUDA_KERNEL_NODE_PARAMS node{};
  node.kern = kernel;
  node.ctx = context;
  node.gridDimX = blocks;
  node.gridDimY = node.gridDimZ = 1;
  node.blockDimX = kThreads;
  node.blockDimY = node.blockDimZ = 1;
  node.kernelParams = values;
  return node;
}

Result<std::vector<CUgraphNode>> roots_of(const Driver& driver, CUgraph graph) {
  std::size_t count = 0;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_get_root_nodes(graph, nullptr, &count), "count a graph's roots"));
  std::vector<CUgraphNode> roots(count);
  if (count > 0) {
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.graph_get_root_nodes(graph, roots.data(), &count), "list a graph's roots"));
  }
  return roots;
}

Result<std::vector<CUgraphNode>> leaves_of(const Driver& driver, CUgraph graph) {
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> nodes, nodes_of(driver, graph));
  std::vector<CUgraphNode> leaves;
  for (const CUgraphNode node : nodes) {
    std::size_t after = 0;
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.graph_node_get_dependents(node, nullptr, nullptr, &after), "count a node's edges"));
    if (after == 0) {
      leaves.push_back(node);
    }
  }
  return leaves;
}

}  // namespace

void write_control(void* block, std::uint64_t end_word, std::uint32_t end_number, std::span<const Move> gathers,
                   std::span<const Move> scatters, std::uint64_t times) {
  const FrameHeader header{.end_word = end_word,
                           .end_number = end_number,
                           .gathers = static_cast<std::uint32_t>(gathers.size()),
                           .scatters = static_cast<std::uint32_t>(scatters.size()),
                           .unused = 0,
                           .times = times};
  auto* at = static_cast<std::byte*>(block);
  std::memcpy(at, &header, sizeof(header));
  at += sizeof(header);
  for (const auto& moves : {gathers, scatters}) {
    if (!moves.empty()) {
      std::memcpy(at, moves.data(), moves.size_bytes());
      at += moves.size_bytes();
    }
  }
}

Result<std::shared_ptr<const PlanKernels>> PlanKernels::load(std::shared_ptr<Gpu> gpu) {
  const std::shared_ptr<PlanKernels> kernels(new PlanKernels(std::move(gpu)));
  const Driver& driver = kernels->gpu_->driver();
  const CurrentContext current(*kernels->gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_RETURN_IF_ERROR(driver.check(
      driver.library_load_data(&kernels->library_, kPlanFramePtx, nullptr, nullptr, 0, nullptr, nullptr, 0),
      "load the kernels that frame plans"));
  TESSERA_ASSIGN_OR_RETURN(kernels->gather_, kernels->find("plan_gather"));
  TESSERA_ASSIGN_OR_RETURN(kernels->scatter_, kernels->find("plan_scatter"));
  return std::shared_ptr<const PlanKernels>(kernels);
}

PlanKernels::~PlanKernels() {
  if (library_ != nullptr) {
    const CurrentContext current(*gpu_);
    static_cast<void>(gpu_->driver().library_unload(library_));
  }
}

Result<CUkernel> PlanKernels::find(const char* name) const {
  const Driver& driver = gpu_->driver();
  CUkernel kernel = nullptr;
  CUfunction function = nullptr;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.library_get_kernel(&kernel, library_, name), name));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.kernel_get_function(&function, kernel), name));
  TESSERA_RETURN_IF_ERROR(driver.check(driver.func_load(function), name));
  return kernel;
}

Status PlanKernels::frame(CUgraph graph, CUdeviceptr control, CUdeviceptr scratch, Bytes gathered,
                          Bytes scattered) const {
  TESSERA_CHECK(control % sizeof(FrameHeader::end_word) == 0 && scratch % kFrameBytes == 0);
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  TESSERA_RETURN_IF_ERROR(current.status());
  TESSERA_ASSIGN_OR_RETURN(const std::vector<CUgraphNode> roots, roots_of(driver, graph));
  TESSERA_ASSIGN_OR_RETURN(std::vector<CUgraphNode> leaves, leaves_of(driver, graph));
  void* values[] = {&control, &scratch};
  const auto first = node_of(gather_, gpu_->context(), blocks_for(gathered), values);
  CUgraphNode gather = nullptr;
  TESSERA_RETURN_IF_ERROR(
      driver.check(driver.graph_add_kernel_node(&gather, graph, nullptr, 0, &first), "add the gather kernel"));
  if (roots.empty()) {
    leaves.push_back(gather);
  } else {
    const std::vector<CUgraphNode> from(roots.size(), gather);
    const std::vector<CUgraphEdgeData> plain(roots.size());
    TESSERA_RETURN_IF_ERROR(driver.check(
        driver.graph_add_dependencies(graph, from.data(), roots.data(), plain.data(), roots.size()), "link a node"));
  }
  const auto last = node_of(scatter_, gpu_->context(), blocks_for(scattered), values);
  CUgraphNode scatter = nullptr;
  return driver.check(driver.graph_add_kernel_node(&scatter, graph, leaves.data(), leaves.size(), &last),
                      "add the scatter kernel");
}

}  // namespace tessera::device
