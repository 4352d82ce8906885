#include "measure/tenant.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "core/tensor.h"

namespace tessera::measure {
namespace {

constexpr std::size_t kAlignment = 64;

constexpr std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

template <typename T, typename Make>
void fill_as(std::span<std::byte> data, const Make& make) {
  for (std::size_t at = 0; at + sizeof(T) <= data.size(); at += sizeof(T)) {
    const T value = make();
    std::memcpy(data.data() + at, &value, sizeof(T));
  }
}

// Floats between -1 and 1; integers 0 or 1, which are words to every language model.
void fill(DType dtype, std::span<std::byte> data, std::mt19937& random) {
  std::uniform_real_distribution<float> around_zero(-1, 1);
  switch (dtype) {
    case DType::kFp16:  // a sign, an exponent of 0.5 to 1, any mantissa
      return fill_as<std::uint16_t>(data, [&] { return static_cast<std::uint16_t>((random() & 0x83FFU) | 0x3800U); });
    case DType::kFp32:
      return fill_as<float>(data, [&] { return around_zero(random); });
    case DType::kInt32:
      return fill_as<std::int32_t>(data, [&] { return static_cast<std::int32_t>(random() & 1U); });
    case DType::kInt64:
      return fill_as<std::int64_t>(data, [&] { return static_cast<std::int64_t>(random() & 1U); });
    default:
      return fill_as<std::uint8_t>(data, [&] { return static_cast<std::uint8_t>(random() & 1U); });
  }
}

}  // namespace

// One of the requests on their way, sent again and again. Its samples are written by whoever answers, one at a time.
class Tenant::Call final : public runtime::InferCall, public std::enable_shared_from_this<Call> {
 public:
  Call(Tenant& owner, Memory memory) : owner_(owner), memory_(memory) {}

  // Before the first send(), as many rows as all requests will have. Error: that of the memory for it.
  Status prepare(const std::vector<TensorSpec>& inputs, std::int64_t rows) {
    for (const TensorSpec& spec : inputs) {
      const Shape shape = spec.shape.with_first(rows);
      TESSERA_ASSIGN_OR_RETURN(const std::size_t size, byte_size(spec.dtype, shape));
      sizes_.push_back(size);
      request.inputs.push_back({spec.name, {spec.dtype, shape, {}}});
    }
    request.model = owner_.name_;
    answers.reserve(1 << 20);
    return lease(false);
  }

  void send() {
    request.arrival = now();
    if (memory_ == Memory::kForEach) {
      if (const Status leased = lease(true); !leased.ok()) {
        fail(leased.error());
      }
    }
    owner_.service_.infer(shared_from_this());
  }
  void done(Result<InferResponse> result) noexcept override {
    if (!result.ok()) {
      fail(result.error());
    }
    const TimePoint at = now();
    answers.push_back({at, at - request.arrival});
    if (owner_.stopping_.load()) {
      owner_.on_their_way_.fetch_sub(1);
    } else {
      send();
    }
  }

  std::vector<Answer> answers;

 private:
  [[noreturn]] void fail(const Error& error) const {
    std::fprintf(stderr, "%s: %s\n", owner_.name_.c_str(), error.message().c_str());
    std::_Exit(EXIT_FAILURE);
  }

  // Memory for all inputs, with random numbers in it but where it is leased again.
  Status lease(bool again) {
    Bytes all;
    for (const std::size_t size : sizes_) {
      all.value += aligned(size);
    }
    TESSERA_ASSIGN_OR_RETURN(const auto memory, owner_.service_.lease_body(owner_.name_, all));
    TESSERA_RETURN_IF_ERROR(memory->charge(all));
    std::span<std::byte> left = memory->bytes();
    for (std::size_t i = 0; i < sizes_.size(); ++i) {
      TensorView& tensor = request.inputs[i].tensor;
      tensor.data = left.first(sizes_[i]);
      // It would take longer than the answer, and what lies there is as good, unless it has to be words.
      if (!again || tensor.dtype == DType::kInt32 || tensor.dtype == DType::kInt64) {
        fill(tensor.dtype, left.first(sizes_[i]), random_);
      }
      left = left.subspan(aligned(sizes_[i]));
    }
    request.memory = memory;
    request.device = memory->device;
    return ok_status();
  }

  Tenant& owner_;
  const Memory memory_;
  std::vector<std::size_t> sizes_;  // of the inputs
  std::mt19937 random_{1};
};

Result<std::unique_ptr<Tenant>> Tenant::make(runtime::Service& service, const model::Instance& instance,
                                             std::int64_t rows, int outstanding, Memory memory) {
  std::unique_ptr<Tenant> tenant(new Tenant(service, instance.name));
  for (int i = 0; i < outstanding; ++i) {
    auto call = std::make_shared<Call>(*tenant, memory);
    TESSERA_RETURN_IF_ERROR(call->prepare(instance.signature.inputs, rows));
    tenant->calls_.push_back(std::move(call));
  }
  return tenant;
}

void Tenant::start() {
  stopping_.store(false);
  on_their_way_.store(static_cast<int>(calls_.size()));
  for (const auto& call : calls_) {
    starters_.emplace_back([call] { call->send(); });
  }
}

void Tenant::wait() {
  while (on_their_way_.load() > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  for (std::thread& starter : starters_) {
    starter.join();
  }
  starters_.clear();
}

std::vector<Answer> Tenant::answers(TimePoint from, TimePoint until) const {
  std::vector<Answer> found;
  for (const auto& call : calls_) {
    for (const Answer& answer : call->answers) {
      if (answer.at >= from && answer.at < until) {
        found.push_back(answer);
      }
    }
  }
  return found;
}

}  // namespace tessera::measure
