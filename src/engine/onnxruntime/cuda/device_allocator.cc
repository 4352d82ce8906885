#include "engine/onnxruntime/cuda/device_allocator.h"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace tessera::engine {
namespace {

thread_local MemorySource* t_source = nullptr;

constexpr std::uint64_t aligned(std::uint64_t size, std::uint64_t to) { return (size + to - 1) / to * to; }

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Result<CUdeviceptr> SessionSource::append_at(std::size_t size, std::size_t alignment) {
  const std::uint64_t begin = aligned(end_, alignment);
  const std::uint64_t end = begin + aligned(std::max<std::size_t>(size, 1), alignment);
  TESSERA_RETURN_IF_ERROR(region().grow({end}));
  end_ = end;
  return region().base() + begin;
}

Result<CUdeviceptr> SessionSource::append_small(std::size_t size) {
  return append_at(size, size <= 64 ? 64 : size <= 128 ? 128 : kAlignment);
}

Result<CUdeviceptr> SessionSource::reserve(std::size_t size) {
  const std::uint64_t before = end_;
  TESSERA_ASSIGN_OR_RETURN(const CUdeviceptr at, append_small(size));
  const auto place = std::lower_bound(SessionUse::kUpTo.begin(), SessionUse::kUpTo.end(), size);
  auto& alike = use_.initialisers[static_cast<std::size_t>(place - SessionUse::kUpTo.begin())];
  ++alike.count;
  alike.bytes.value += size;
  use_.initialiser_room.value += end_ - before;
  return at;
}

std::optional<CUdeviceptr> SessionSource::table(std::span<const std::byte> bytes) const {
  const auto found = tables_.find(as_text(bytes));
  return found == tables_.end() ? std::nullopt : std::optional(found->second);
}

void SessionSource::keep_table(std::span<const std::byte> bytes, CUdeviceptr at) {
  if (tables_.emplace(as_text(bytes), at).second) {
    table_bytes_.value += bytes.size();
  }
}

Result<CUdeviceptr> SessionSource::allocate(std::size_t size) {
  if (next_ < blocks_.size()) {
    if (blocks_[next_].size == size) {
      return blocks_[next_++].at;
    }
    // Another order than the first session's: blocks of its own from here on, so that nothing is shared wrongly.
    log(LogLevel::kInfo,
        "a session packs its weights in another order than the first of its model: they are held twice",
        {{"block", static_cast<std::int64_t>(next_)}, {"bytes", static_cast<std::int64_t>(size)}});
    next_ = SIZE_MAX;
  }
  TESSERA_ASSIGN_OR_RETURN(const CUdeviceptr at, append(size));
  if (next_ != SIZE_MAX) {
    blocks_.push_back({at, size});
    next_ = blocks_.size();
  } else {
    const std::uint64_t room = aligned(std::max<std::size_t>(size, 1), kAlignment);
    again_ += room;
    use_.packed_again.value += room;
  }
  return at;
}

DeviceAllocator::From::From(MemorySource& source) : outer_(std::exchange(t_source, &source)) {}
DeviceAllocator::From::~From() { t_source = outer_; }

DeviceAllocator::DeviceAllocator(std::shared_ptr<const Environment> environment, Ort::MemoryInfo info)
    : environment_(std::move(environment)), info_(std::move(info)) {
  adapter_.self = this;
  adapter_.version = ORT_API_VERSION;
  adapter_.Alloc = [](OrtAllocator* /*self*/, std::size_t size) { return allocate(size, Kind::kRun); };
  adapter_.Reserve = [](OrtAllocator* /*self*/, std::size_t size) { return allocate(size, Kind::kInitializer); };
  adapter_.Free = [](OrtAllocator* self, void* at) { static_cast<Adapter*>(self)->self->release(at); };
  adapter_.Info = [](const OrtAllocator* self) -> const OrtMemoryInfo* {
    return static_cast<const Adapter*>(self)->self->info_;
  };
}

Result<std::unique_ptr<DeviceAllocator>> DeviceAllocator::make(std::shared_ptr<const Environment> environment,
                                                               int gpu) {
  TESSERA_ASSIGN_OR_RETURN(Ort::MemoryInfo info, guarded(Blame::kUs, [&] {
                             return Ort::MemoryInfo("Cuda", OrtDeviceAllocator, gpu, OrtMemTypeDefault);
                           }));
  std::unique_ptr<DeviceAllocator> made(
      new DeviceAllocator(std::move(environment), std::move(info)));  // NOLINT: the constructor is private
  TESSERA_RETURN_IF_ERROR(
      to_status(Ort::GetApi().RegisterAllocator(made->environment_->env(), &made->adapter_), Blame::kUs));
  made->registered_ = true;
  return made;
}

DeviceAllocator::~DeviceAllocator() {
  if (registered_) {
    static_cast<void>(to_status(Ort::GetApi().UnregisterAllocator(environment_->env(), info_), Blame::kUs));
  }
}

void DeviceAllocator::add(MemorySource& source) {
  const std::lock_guard lock(mutex_);
  sources_.emplace(source.region().base() + source.region().reserved().value, &source);
}

void DeviceAllocator::remove(MemorySource& source) {
  const std::lock_guard lock(mutex_);
  sources_.erase(source.region().base() + source.region().reserved().value);
}

void* DeviceAllocator::allocate(std::size_t size, Kind kind) {
  MemorySource* source = t_source;
  if (source == nullptr) {
    log(LogLevel::kError, "device memory was asked for outside a load", {{"bytes", static_cast<std::int64_t>(size)}});
    throw std::bad_alloc();
  }
  auto at = kind == Kind::kInitializer ? source->reserve(size) : source->allocate(size);
  if (!at) {
    source->failure_ = at.error();
    throw std::bad_alloc();
  }
  return reinterpret_cast<void*>(*at);
}

void DeviceAllocator::release(void* at) {
  if (at == nullptr) {
    return;
  }
  const auto address = reinterpret_cast<CUdeviceptr>(at);
  MemorySource* source = nullptr;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.upper_bound(address);
    TESSERA_CHECK(found != sources_.end() && address >= found->second->region().base());
    source = found->second;
  }
  source->release(address);
}

}  // namespace tessera::engine
