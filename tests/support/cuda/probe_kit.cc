#include "tests/support/cuda/probe_kit.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "tests/support/cuda/probe_ptx.h"

namespace tessera::device::contract {
namespace {

constexpr std::size_t kOrderBytes = 256;
constexpr std::size_t kScratchBytes = 1 << 16;
constexpr unsigned kThreads = 64;
constexpr unsigned kBlocksToFindAll = 8;  // a processor
// Of one slot's frame on the card: what the kernels need, then input and output.
constexpr std::size_t kFrameOfSlot = kFrameBytes + 2 * std::size_t{kProbeBytes};
constexpr std::size_t kMovesOfProbe = 2;
constexpr std::uint64_t kLongEnoughNs = 20'000;

// What a test cannot go on without.
void must(const Driver& driver, CUresult result, const char* what) {
  const Status status = driver.check(result, what);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error().message().c_str());
  }
  TESSERA_CHECK(status.ok());
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message().c_str());
  }
  return std::move(result).value();
}

}  // namespace

const Result<Driver>& host_driver() {
  static const Result<Driver> kDriver = Driver::open();
  return kDriver;
}

MappedMemory::MappedMemory(std::shared_ptr<Gpu> gpu, std::size_t size) : gpu_(std::move(gpu)) {
  const CurrentContext current(*gpu_);
  must(gpu_->driver(),
       gpu_->driver().mem_host_alloc(&data_, size, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP), "pin memory");
  std::memset(data_, 0, size);
}

MappedMemory::~MappedMemory() { static_cast<void>(gpu_->driver().mem_free_host(data_)); }

ProbeKernels::ProbeKernels(std::shared_ptr<Gpu> gpu) : gpu_(std::move(gpu)) {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  must(driver, driver.library_load_data(&library_, kProbePtx, nullptr, nullptr, 0, nullptr, nullptr, 0),
       "load kernels");
  must(driver, driver.library_get_kernel(&begin_, library_, "probe_begin"), "find a kernel");
  must(driver, driver.library_get_kernel(&answer_, library_, "probe_answer"), "find a kernel");
  must(driver, driver.library_get_kernel(&note_sms_, library_, "note_sms"), "find a kernel");
}

ProbeKernels::~ProbeKernels() { static_cast<void>(gpu_->driver().library_unload(library_)); }

CUfunction ProbeKernels::function(const char* name) const {
  CUkernel kernel = nullptr;
  must(gpu_->driver(), gpu_->driver().library_get_kernel(&kernel, library_, name), "find a kernel");
  return reinterpret_cast<CUfunction>(kernel);
}

std::set<unsigned> ProbeKernels::sms_of(CUcontext context) const {
  const Driver& driver = gpu_->driver();
  must(driver, driver.ctx_push_current(context), "make a context current");
  CUstream stream = nullptr;
  must(driver, driver.stream_create(&stream, CU_STREAM_NON_BLOCKING), "make a stream");
  const std::set<unsigned> found = sms_of(stream);
  must(driver, driver.stream_destroy(stream), "destroy a stream");
  CUcontext popped = nullptr;
  must(driver, driver.ctx_pop_current(&popped), "restore a context");
  return found;
}

std::set<unsigned> ProbeKernels::sms_of(CUstream stream) const {
  const Driver& driver = gpu_->driver();
  unsigned all = 0;
  for (std::uint16_t atom = 0; atom < gpu_->atoms(); ++atom) {
    all += gpu_->processors(atom);
  }
  const MappedMemory found(gpu_, sizeof(std::uint32_t) * kSmWords);
  auto* sms = found.as<std::uint32_t>();
  std::uint64_t busy = kLongEnoughNs;
  std::array<void*, 2> values{&sms, &busy};
  must(driver,
       driver.launch_kernel(reinterpret_cast<CUfunction>(note_sms_), all * kBlocksToFindAll, 1, 1, kThreads, 1, 1, 0,
                            stream, values.data(), nullptr),
       "launch a kernel");
  must(driver, driver.stream_synchronize(stream), "run a kernel");
  std::set<unsigned> set;
  for (unsigned sm = 0; sm < kSmWords * 32; ++sm) {
    if ((sms[sm / 32] >> (sm % 32) & 1U) != 0) {
      set.insert(sm);
    }
  }
  return set;
}

ProbeKit::ProbeKit(CudaDevice& device, std::size_t slots, Frame frame)
    : gpu_(device.gpu()), kernels_(gpu_), slots_(slots) {
  const Driver& driver = gpu_->driver();
  const CurrentContext current(*gpu_);
  TESSERA_CHECK(current.status().ok());
  for (std::uint16_t atom = 0; atom < gpu_->atoms(); ++atom) {
    processors_ += gpu_->processors(atom);
  }
  CUdeviceptr memory = 0;
  const std::size_t frames = frame == Frame::kYes ? slots_ * kFrameOfSlot : 0;
  const std::size_t size = kOrderBytes + kScratchBytes + frames + slots_ * sizeof(ProbeBlocks);
  must(driver, driver.mem_alloc(&memory, size), "allocate");
  card_memory_ = OwnedDeviceMemory(driver, memory);
  const CUstream stream = device.loader_stream();
  must(driver, driver.memset_d8_async(memory, 0, size, stream), "clear");
  must(driver, driver.stream_synchronize(stream), "clear");
  order_ = reinterpret_cast<unsigned long long*>(memory);
  scratch_ = reinterpret_cast<std::uint32_t*>(memory + kOrderBytes);
  frames_ = memory + kOrderBytes + kScratchBytes;
  blocks_ = reinterpret_cast<ProbeBlocks*>(frames_ + frames);
  notes_ = std::make_unique<MappedMemory>(gpu_, slots_ * sizeof(ProbeNote));
  bytes_ = std::make_unique<MappedMemory>(gpu_, slots_ * 2 * kProbeBytes);
  find_atoms(device);
  capture_source(stream);
  if (frame == Frame::kYes) {
    frame_source();
  }
  std::vector<Slice> slices = device.shape().ladder;
  slices.push_back(device.shape().loader);
  for (const Slice& slice : slices) {
    const CUcontext context = must(device.context_of(slice));
    auto& copies = homed_[slice];
    while (copies.size() < kCopies) {
      copies.push_back(home(context, stream));
    }
  }
}

ProbeKit::~ProbeKit() = default;

void ProbeKit::find_atoms(CudaDevice& device) {
  for (std::uint16_t atom = 0; atom < device.shape().atoms(); ++atom) {
    sms_.push_back(kernels_.sms_of(must(device.context_of({atom, 1}))));
  }
}

void ProbeKit::capture_source(CUstream stream) {
  const Driver& driver = gpu_->driver();
  ProbeArgs args{};
  void* values[] = {&args};
  const auto memory = reinterpret_cast<CUdeviceptr>(scratch_);
  const CUdeviceptr half = memory + kScratchBytes / 2;
  source_ = must(capture(*gpu_, stream, [&](CUstream on) -> Status {
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.launch_kernel(reinterpret_cast<CUfunction>(kernels_.begin()), processors_, 1, 1, kThreads,
                                          1, 1, 0, on, values, nullptr),
                     "capture a kernel"));
    TESSERA_RETURN_IF_ERROR(driver.check(driver.memset_d8_async(memory, 0, kScratchBytes / 2, on), "capture a memset"));
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.memcpy_dtod_async(half, memory, kScratchBytes / 2, on), "capture a copy"));
    return driver.check(driver.launch_kernel(reinterpret_cast<CUfunction>(kernels_.answer()), processors_, 1, 1,
                                             kThreads, 1, 1, 0, on, values, nullptr),
                        "capture a kernel");
  }));
  std::size_t count = 0;
  must(driver, driver.graph_get_nodes(source_.get(), nullptr, &count), "count nodes");
  std::vector<CUgraphNode> nodes(count);
  must(driver, driver.graph_get_nodes(source_.get(), nodes.data(), &count), "list nodes");
  for (const CUgraphNode node : nodes) {
    CUgraphNodeType type{};
    must(driver, driver.graph_node_get_type(node, &type), "read a node");
    if (type == CU_GRAPH_NODE_TYPE_KERNEL) {
      CUDA_KERNEL_NODE_PARAMS params{};
      must(driver, driver.graph_kernel_node_get_params(node, &params), "read a node");
      (params.kern == kernels_.begin() ? begin_node_ : answer_node_) = node;
    }
  }
  TESSERA_CHECK(begin_node_ != nullptr && answer_node_ != nullptr);
}

void ProbeKit::frame_source() {
  const Driver& driver = gpu_->driver();
  plan_kernels_ = must(PlanKernels::load(gpu_));
  controls_ = std::make_unique<MappedMemory>(gpu_, slots_ * control_size(kMovesOfProbe));
  // Each run has a block and a frame of its own, as tests queue many runs of one copy; these stand for them.
  const auto control = reinterpret_cast<CUdeviceptr>(controls_->as<std::byte>());
  TESSERA_CHECK(plan_kernels_->frame(source_.get(), control, frames_, Bytes{kProbeBytes}, Bytes{kProbeBytes}).ok());
  std::size_t count = 1;
  must(driver, driver.graph_get_root_nodes(source_.get(), &gather_node_, &count), "find the root");
  TESSERA_CHECK(count == 1);
  must(driver, driver.graph_get_nodes(source_.get(), nullptr, &count), "count nodes");
  std::vector<CUgraphNode> nodes(count);
  must(driver, driver.graph_get_nodes(source_.get(), nodes.data(), &count), "list nodes");
  for (const CUgraphNode node : nodes) {
    must(driver, driver.graph_node_get_dependents(node, nullptr, nullptr, &count), "count edges");
    scatter_node_ = count == 0 ? node : scatter_node_;
  }
}

ProbeKit::Homed ProbeKit::home(CUcontext context, CUstream stream) const {
  HomedGraph graph = must(HomedGraph::make(*gpu_, source_.get(), context, stream));
  const auto begin = must(graph.kernel_of(begin_node_));
  const auto answer = must(graph.kernel_of(answer_node_));
  if (!framed()) {
    return {std::move(graph), begin, answer, {}, {}};
  }
  const auto gather = must(graph.kernel_of(gather_node_));
  const auto scatter = must(graph.kernel_of(scatter_node_));
  return {std::move(graph), begin, answer, gather, scatter};
}

std::optional<ProbeSlot> ProbeKit::take_slot() {
  const std::lock_guard lock(mutex_);
  if (next_slot_ == slots_) {
    return std::nullopt;
  }
  const std::size_t slot = next_slot_++;
  unsigned char* bytes = bytes_->as<unsigned char>() + slot * 2 * kProbeBytes;
  return ProbeSlot{.blocks = blocks_ + slot,
                   .note = notes_->as<ProbeNote>() + slot,
                   .input = bytes,
                   .output = bytes + kProbeBytes,
                   .control = framed() ? controls_->as<std::byte>() + slot * control_size(kMovesOfProbe) : nullptr,
                   .frame = framed() ? frames_ + slot * kFrameOfSlot : 0};
}

const ProbeKit::Homed& ProbeKit::next_copy(const Slice& slice) const {
  const std::lock_guard lock(mutex_);
  return homed_.at(slice)[turn_[slice]++ % kCopies];
}

Status ProbeKit::launch(const Homed& homed, CUstream stream, ProbeArgs args) const {
  args.order = order_;
  args.scratch = scratch_ + kScratchBytes / 2 / sizeof(std::uint32_t);
  void* values[] = {&args};
  TESSERA_RETURN_IF_ERROR(homed.graph.set_arguments(homed.begin, values));
  TESSERA_RETURN_IF_ERROR(homed.graph.set_arguments(homed.answer, values));
  return homed.graph.launch(stream);
}

Status ProbeKit::enqueue(const Slice& slice, CUstream stream, ProbeArgs args) const {
  TESSERA_CHECK(!framed());
  return homed_.contains(slice) ? launch(next_copy(slice), stream, args)
                                : invalid_argument("the probe is not homed there");
}

Status ProbeKit::enqueue(const Slice& slice, const LaunchQueue& queue, const ProbeSlot& slot, ProbeArgs args) const {
  TESSERA_CHECK(framed());
  if (!homed_.contains(slice)) {
    return invalid_argument("the probe is not homed there");
  }
  const CUdeviceptr input = slot.frame + kFrameBytes;
  const CUdeviceptr output = input + kProbeBytes;
  const Move in{reinterpret_cast<CUdeviceptr>(args.input), input, args.bytes, kCopy};
  const Move out{output, reinterpret_cast<CUdeviceptr>(args.output), kProbeBytes, kCopy};
  write_control(slot.control, queue.end_word, queue.end_number, {&in, 1}, {&out, 1});
  args.input = reinterpret_cast<const unsigned char*>(input);
  args.output = reinterpret_cast<unsigned char*>(output);
  const Homed& homed = next_copy(slice);
  auto control = reinterpret_cast<CUdeviceptr>(slot.control);
  CUdeviceptr frame = slot.frame;
  void* values[] = {&control, &frame};
  TESSERA_RETURN_IF_ERROR(homed.graph.set_arguments(homed.gather, values));
  TESSERA_RETURN_IF_ERROR(homed.graph.set_arguments(homed.scatter, values));
  return launch(homed, queue.run, args);
}

std::optional<std::uint16_t> ProbeKit::atom_of(unsigned sm) const {
  for (std::size_t atom = 0; atom < sms_.size(); ++atom) {
    if (sms_[atom].contains(sm)) {
      return static_cast<std::uint16_t>(atom);
    }
  }
  return std::nullopt;
}

std::set<std::uint16_t> ProbeKit::atoms_in(const std::uint32_t (&sms)[kSmWords]) const {
  std::set<std::uint16_t> atoms;
  for (unsigned sm = 0; sm < kSmWords * 32; ++sm) {
    if ((sms[sm / 32] >> (sm % 32) & 1U) != 0) {
      atoms.insert(atom_of(sm).value_or(0xffff));
    }
  }
  return atoms;
}

}  // namespace tessera::device::contract
