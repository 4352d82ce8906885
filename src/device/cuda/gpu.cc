#include "device/cuda/gpu.h"

#include <array>
#include <utility>

#include "base/check.h"

namespace tessera::device {
namespace {

constexpr const char* kReadArchitecture = "read its compute capability";

std::string card(int ordinal) { return "gpu " + std::to_string(ordinal); }

// 27485 times 2^32: a number that sizes and strides of tensors rarely are. Each card has 1 TB of addresses from there.
constexpr CUdeviceptr kFirstAddress = CUdeviceptr{0x6b5d} << 32;
constexpr CUdeviceptr kAddressesOfOne = CUdeviceptr{1} << 40;

}  // namespace

Result<int> Gpu::count(const Driver& driver) {
  int count = 0;
  TESSERA_RETURN_IF_ERROR(driver.check(driver.device_get_count(&count), "count the GPUs"));
  return count;
}

Result<std::shared_ptr<Gpu>> Gpu::open(const Driver& driver, int ordinal) {
  TESSERA_ASSIGN_OR_RETURN(const int count, Gpu::count(driver));
  if (ordinal < 0 || ordinal >= count) {
    return not_found("there is no " + card(ordinal) + ": this host has " + std::to_string(count) + ", counted from 0");
  }
  std::shared_ptr<Gpu> gpu(new Gpu(driver, ordinal));
  if (const Status started = gpu->start(); !started.ok()) {
    return started.error().in(card(ordinal));
  }
  return gpu;
}

Gpu::Gpu(const Driver& driver, int ordinal)
    : driver_(driver),
      ordinal_(ordinal),
      addresses_(kFirstAddress + static_cast<CUdeviceptr>(ordinal) * kAddressesOfOne) {}

Gpu::~Gpu() {
  contexts_.clear();
  if (context_ != nullptr) {
    static_cast<void>(driver_.primary_ctx_release(device_));
  }
}

Status Gpu::start() {
  std::array<char, 256> name{};
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.device_get(&device_, ordinal_), "find the card"));
  TESSERA_RETURN_IF_ERROR(
      driver_.check(driver_.device_get_name(name.data(), static_cast<int>(name.size()) - 1, device_), "read its name"));
  name_ = name.data();
  int major = 0;
  int minor = 0;
  TESSERA_RETURN_IF_ERROR(driver_.check(
      driver_.device_get_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device_), kReadArchitecture));
  TESSERA_RETURN_IF_ERROR(driver_.check(
      driver_.device_get_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device_), kReadArchitecture));
  architecture_ = major * 10 + minor;
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.primary_ctx_retain(&context_, device_), "make its context"));
  return split();
}

Status Gpu::split() {
  CUdevResource all{};
  TESSERA_RETURN_IF_ERROR(
      driver_.check(driver_.device_get_dev_resource(device_, &all, CU_DEV_RESOURCE_TYPE_SM), "read its processors"));
  const unsigned smallest = all.sm.minSmPartitionSize;
  unsigned groups = 0;
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.sm_resource_split(nullptr, &groups, &all, nullptr, 0, smallest),
                                        "count groups of its processors"));
  if (groups == 0) {  // too few for that: small cards, and a client of MPS that is given a part of one
    atoms_.push_back({{all}, static_cast<std::uint16_t>(all.sm.smCount)});
    return ok_status();
  }
  std::vector<CUdevResource> parts(groups);
  CUdevResource rest{};
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.sm_resource_split(parts.data(), &groups, &all, &rest, 0, smallest),
                                        "split its processors"));
  parts.resize(groups);
  for (const CUdevResource& part : parts) {
    atoms_.push_back({{part}, static_cast<std::uint16_t>(part.sm.smCount)});
  }
  if (rest.type != CU_DEV_RESOURCE_TYPE_SM || rest.sm.smCount == 0) {
    return ok_status();
  }
  if (rest.sm.smCount >= smallest) {
    atoms_.push_back({{rest}, static_cast<std::uint16_t>(rest.sm.smCount)});
  } else {
    atoms_.back().resources.push_back(rest);
    atoms_.back().processors = static_cast<std::uint16_t>(atoms_.back().processors + rest.sm.smCount);
  }
  return ok_status();
}

Result<CUcontext> Gpu::context_of(const Slice& slice, Use use) {
  const std::lock_guard lock(contexts_mutex_);
  TESSERA_ASSIGN_OR_RETURN(const SliceContext* found, find_context(slice, use));
  return found->context;
}

Result<OwnedStream> Gpu::make_stream_in(const Slice& slice, Use use) {
  TESSERA_RETURN_IF_ERROR(count_streams(1));
  const std::lock_guard lock(contexts_mutex_);
  TESSERA_ASSIGN_OR_RETURN(const SliceContext* found, find_context(slice, use));
  CUstream stream = nullptr;
  TESSERA_RETURN_IF_ERROR(
      driver_.check(driver_.green_ctx_stream_create(&stream, found->green.get(), CU_STREAM_NON_BLOCKING, 0),
                    "make a slice's stream"));
  return OwnedStream(driver_, stream);
}

Result<Gpu::SliceContext*> Gpu::find_context(const Slice& slice, Use use) {
  TESSERA_CHECK(slice.count > 0 && slice.end() <= atoms());
  const std::pair key(use, slice);
  auto found = contexts_.find(key);
  if (found == contexts_.end()) {
    TESSERA_ASSIGN_OR_RETURN(SliceContext made, make_context(slice));
    found = contexts_.emplace(key, std::move(made)).first;
  }
  return &found->second;
}

Result<Gpu::SliceContext> Gpu::make_context(const Slice& slice) const {
  std::vector<CUdevResource> resources;
  for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
    resources.insert(resources.end(), atoms_[atom].resources.begin(), atoms_[atom].resources.end());
  }
  CUdevResourceDesc description = nullptr;
  TESSERA_RETURN_IF_ERROR(driver_.check(
      driver_.resource_generate_desc(&description, resources.data(), static_cast<unsigned>(resources.size())),
      "join atoms to a slice"));
  CUgreenCtx green = nullptr;
  TESSERA_RETURN_IF_ERROR(driver_.check(
      driver_.green_ctx_create(&green, description, device_, CU_GREEN_CTX_DEFAULT_STREAM), "make a slice's context"));
  SliceContext made{OwnedGreenContext(driver_, green), nullptr};
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.ctx_from_green_ctx(&made.context, green), "read a slice's context"));
  return made;
}

Status Gpu::count_streams(std::size_t more) {
  if (streams_.fetch_add(more) + more > kMaxStreams) {
    streams_.fetch_sub(more);
    return Error(ErrorCode::kResourceExhausted,
                 card(ordinal_) + " has " + std::to_string(kMaxStreams) + " streams, and they are given out");
  }
  return ok_status();
}

Result<Bytes> Gpu::memory() const {
  const CurrentContext current(*this);
  TESSERA_RETURN_IF_ERROR(current.status());
  std::size_t free = 0;
  std::size_t total = 0;
  TESSERA_RETURN_IF_ERROR(driver_.check(driver_.mem_get_info(&free, &total), "see how much memory there is"));
  return Bytes{total};
}

Result<std::vector<OwnedStream>> Gpu::make_streams(std::size_t count) {
  TESSERA_RETURN_IF_ERROR(count_streams(count));
  const CurrentContext current(*this);
  TESSERA_RETURN_IF_ERROR(current.status());
  std::vector<OwnedStream> streams;
  for (std::size_t i = 0; i < count; ++i) {
    CUstream stream = nullptr;
    TESSERA_RETURN_IF_ERROR(driver_.check(driver_.stream_create(&stream, CU_STREAM_NON_BLOCKING), "make a stream"));
    streams.emplace_back(driver_, stream);
  }
  return streams;
}

void Gpu::watch_faults(const void* who, std::function<void(const Error&)> tell) {
  const std::lock_guard lock(watchers_mutex_);
  watchers_.insert_or_assign(who, std::move(tell));
}

void Gpu::unwatch_faults(const void* who) {
  const std::lock_guard lock(watchers_mutex_);
  watchers_.erase(who);
}

void Gpu::fail(const Error& reason) {
  // Also against those who are told and report it in turn.
  if (failed_.exchange(true)) {
    return;
  }
  const std::lock_guard lock(watchers_mutex_);
  for (const auto& [who, tell] : watchers_) {
    tell(reason);
  }
}

CurrentContext::CurrentContext(const Gpu& gpu) : driver_(gpu.driver()) {
  CUcontext current = nullptr;
  if (driver_.ctx_get_current(&current) == CUDA_SUCCESS && current == gpu.context()) {
    return;
  }
  status_ = driver_.check(driver_.ctx_push_current(gpu.context()), "make a context current");
  pushed_ = status_.ok();
}

CurrentContext::~CurrentContext() {
  if (pushed_) {
    CUcontext popped = nullptr;
    static_cast<void>(driver_.ctx_pop_current(&popped));
  }
}

}  // namespace tessera::device
