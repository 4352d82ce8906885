// Decodes a body the way a connection does, with memory from the heap.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/body/infer_decoder.h"
#include "server/shared_memory.h"

namespace tessera::server::http {

class HeapLease final : public runtime::BodyMemory {
 public:
  HeapLease(std::size_t size, std::size_t quota)
      : memory_(new (std::align_val_t(64)) std::byte[size + 1], Free()), size_(size), quota_(quota) {}
  std::span<std::byte> bytes() override { return {memory_.get(), size_}; }
  Status charge(Bytes arrived) override {
    return arrived.value > quota_ ? Status(Error(ErrorCode::kResourceExhausted, "over quota")) : ok_status();
  }

 private:
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete[](memory, std::align_val_t(64)); }
  };
  std::unique_ptr<std::byte[], Free> memory_;
  const std::size_t size_;
  const std::size_t quota_;
};

struct Decoding {
  Status status;
  InferRequest request;
  AnswerForm form;
  std::size_t leased = 0;
  std::uint64_t copied = 0;
};

struct DecodeOptions {
  std::optional<std::uint64_t> json_length;
  bool length_known = true;
  std::size_t piece = 0;         // bytes fed at a time; 0: all
  bool read_into_place = false;  // as from a socket, where the decoder names a place
  std::size_t max_bytes = 1 << 20;
  std::size_t quota = 64 << 20;
  ModelSignature signature = {{{"INPUT0", DType::kInt32, {-1}}}, {}, 8};
};

inline void feed_all(InferDecoder& decoder, std::string_view body, const DecodeOptions& options, Decoding& result) {
  while (!body.empty() && result.status.ok()) {
    const std::size_t piece = options.piece == 0 ? body.size() : std::min(options.piece, body.size());
    iovec places[3];
    std::size_t count = 0;
    if (options.read_into_place) {
      const auto gathered = decoder.gather(places);
      if (!gathered.ok()) {
        result.status = gathered.error();
        return;
      }
      count = *gathered;
    }
    std::size_t placed = 0;
    for (std::size_t i = 0; i < count && placed < piece; ++i) {
      const std::size_t part = std::min(piece - placed, places[i].iov_len);
      std::memcpy(places[i].iov_base, body.data() + placed, part);
      placed += part;
    }
    if (placed > 0) {
      result.status = decoder.arrived(placed);
      body.remove_prefix(placed);
    } else {
      result.status = decoder.feed(std::as_bytes(std::span(body.data(), piece)));
      body.remove_prefix(piece);
    }
  }
}

// The result's memory outlives the decoder, as it does in the server.
inline Decoding decode(std::string_view body, const DecodeOptions& options = {}, const SharedMemory* memory = nullptr) {
  static const SharedMemory kNoRegions;
  Decoding result;
  InferSource source;
  source.lease = [&](Bytes size) -> Result<std::shared_ptr<runtime::BodyMemory>> {
    result.leased += size.value;
    return std::shared_ptr<runtime::BodyMemory>(std::make_shared<HeapLease>(size.value, options.quota));
  };
  source.signature = [&]() -> Result<ModelSignature> { return options.signature; };
  source.shared_memory = memory != nullptr ? memory : &kNoRegions;
  BodyShape shape;
  shape.json_length = options.json_length;
  shape.max_bytes = options.max_bytes;
  if (options.length_known) {
    shape.body_length = body.size();
  }
  InferDecoder decoder(source, shape);
  feed_all(decoder, body, options, result);
  if (result.status.ok()) {
    result.status = decoder.finish(result.request, result.form);
  }
  result.copied = decoder.copied_tensor_bytes();
  return result;
}

template <typename T>
std::vector<T> values_of(const TensorView& tensor) {
  std::vector<T> values(tensor.data.size() / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), tensor.data.data(), values.size() * sizeof(T));
  }
  return values;
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// {"inputs":[{"name":"A", FIELDS}]}
inline std::string one_input(std::string_view fields) {
  return "{\"inputs\":[{\"name\":\"A\"," + std::string(fields) + "}]}";
}

}  // namespace tessera::server::http
