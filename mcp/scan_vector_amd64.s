//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// A block is in Y0 (the first 32 bytes) and Y1. FILL sets all bytes of a
// register to c.
#define FILL(c, x, y) \
	MOVL         $c, AX \
	VMOVD        AX, x  \
	VPBROADCASTB x, y

// SET sets out to the bytes of y0 and y1 that are those of c; bit i is byte i.
#define SET(y0, y1, c, out, tmp) \
	VPCMPEQB  y0, c, Y4 \
	VPCMPEQB  y1, c, Y5 \
	VPMOVMSKB Y4, out   \
	VPMOVMSKB Y5, tmp   \
	SHLQ      $32, tmp  \
	ORQ       tmp, out

// UNESCAPE takes from quote the bytes that follow a backslash that counts.
// carry is 1 if the first byte does so; it becomes 1 if the next block's first
// byte does. backslash and tmp are lost.
//
// With each backslash that may count, b, at the even bits, a subtraction from
// the bit behind it borrows up to the end of the run: thus a run leaves bits
// in the places of every other backslash and of what it ends at. As simdjson.
#define UNESCAPE(backslash, carry, quote, tmp, tmp2) \
	ANDNQ backslash, carry, tmp  \ // that may count: not escaped by the block before
	ORQ   backslash, carry       \
	LEAQ  (tmp)(tmp*1), tmp2     \
	ORQ   R15, tmp2              \
	SUBQ  tmp, tmp2              \
	XORQ  R15, tmp2              \ // those that count, and what follows them where that is at the end
	XORQ  tmp2, carry            \ // what follows
	ANDNQ quote, carry, quote    \
	ANDQ  backslash, tmp2        \
	SHRQ  $63, tmp2              \
	MOVQ  tmp2, carry

// func passVector(k *skipper, p []byte) (n int, s sets)
//
//	DI k, SI the block, R8 behind the last one
//	R9 depth, R10 all ones in a string, R11 escaped, R12 commas, R13 counting
TEXT ·passVector(SB), NOSPLIT, $0-64
	MOVQ k+0(FP), DI
	MOVQ p_base+8(FP), SI
	MOVQ p_len+16(FP), R8
	ANDQ $~63, R8
	ADDQ SI, R8

	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)
	FILL('{', X10, Y10)
	FILL('}', X11, Y11)
	FILL(',', X12, Y12)
	FILL(0x20, X13, Y13)
	VPCMPEQB X14, X14, X14

	MOVQ    skipper_depth(DI), R9
	MOVBQZX skipper_inString(DI), R10
	NEGQ    R10
	MOVBQZX skipper_escaped(DI), R11
	MOVQ    skipper_commas(DI), R12
	MOVBQZX skipper_counting(DI), R13
	MOVQ    $0xaaaaaaaaaaaaaaaa, R15

next:
	CMPQ SI, R8
	JAE  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1

	SET(Y0, Y1, Y8, AX, DX)
	SET(Y0, Y1, Y9, BX, DX)
	MOVQ BX, DX
	ORQ  R11, DX
	JZ   unescaped
	UNESCAPE(BX, R11, AX, CX, DX)

unescaped:
	// In a string (AX) is what has an odd number of quotes up to it: the
	// product without carries by all ones.
	VMOVQ      AX, X2
	VPCLMULQDQ $0, X14, X2, X2
	VMOVQ      X2, AX
	XORQ       R10, AX
	MOVQ       AX, R10
	SARQ       $63, R10

	// [ and ] are { and } without 0x20. BX opens, CX closes, outside strings.
	VPOR  Y0, Y13, Y2
	VPOR  Y1, Y13, Y3
	SET(Y2, Y3, Y10, BX, DX)
	ANDNQ BX, AX, BX
	SET(Y2, Y3, Y11, CX, DX)
	ANDNQ CX, AX, CX

	// Are the brackets open and closed by turns? Then there are two depths in
	// the block: the lower (DI), which is the depth in front of it, or one
	// less if the first bracket closes; and one more in the brackets (R14).
	// Those are the prefix sums of the brackets, turned round in that case.
	MOVQ       BX, DX
	ORQ        CX, DX
	VMOVQ      DX, X2
	VPCLMULQDQ $0, X14, X2, X2
	VMOVQ      X2, R14
	BLSIQ      DX, DI
	ANDQ       CX, DI
	NEGQ       DI
	SBBQ       DI, DI // all ones if the first one closes
	XORQ       DI, R14
	ADDQ       R9, DI
	ANDQ       R14, DX
	CMPQ       DX, BX
	JNE        uneven
	TESTQ      DI, DI
	JLE        uneven // closed

	MOVQ R14, R9
	SHRQ $63, R9
	ADDQ DI, R9
	CMPQ DI, R13 // commas count if the lower depth is 1, and counting is 1
	JNE  passed
	SET(Y0, Y1, Y12, DX, CX)
	ORQ     R14, AX
	ANDNQ   DX, AX, DX
	POPCNTQ DX, DX
	ADDQ    DX, R12

passed:
	ADDQ $64, SI
	JMP  next

uneven:
	// Could all that close bring the depth to 0, or to 1 where the commas
	// count? If not, the numbers are enough.
	POPCNTQ CX, DX
	MOVQ    R9, DI
	SUBQ    DX, DI
	CMPQ    DI, R13
	JLE     stop
	POPCNTQ BX, R9
	ADDQ    DI, R9
	ADDQ    $64, SI
	JMP     next

stop:
	MOVQ  BX, s_open+48(FP)
	ORQ   CX, BX
	MOVQ  BX, s_bracket+40(FP)
	SET(Y0, Y1, Y12, DX, CX)
	ANDNQ DX, AX, DX
	NEGQ  R13
	ANDQ  R13, DX // none if they are not counted
	MOVQ  DX, s_comma+56(FP)

end:
	MOVQ k+0(FP), DI
	MOVQ R9, skipper_depth(DI)
	NEGQ R10
	MOVB R10, skipper_inString(DI)
	MOVB R11, skipper_escaped(DI)
	MOVQ R12, skipper_commas(DI)
	SUBQ p_base+8(FP), SI
	MOVQ SI, n+32(FP)
	VZEROUPPER
	RET

// func quoteVector(p []byte, before bool) (n int, escaped, found bool)
//
//	SI the block, R8 behind the last one, R11 escaped
TEXT ·quoteVector(SB), NOSPLIT, $0-42
	MOVQ    p_base+0(FP), SI
	MOVQ    p_len+8(FP), R8
	ANDQ    $~63, R8
	ADDQ    SI, R8
	MOVBQZX before+24(FP), R11
	MOVQ    $0xaaaaaaaaaaaaaaaa, R15
	FILL('"', X8, Y8)
	FILL('\\', X9, Y9)

next:
	CMPQ SI, R8
	JAE  end
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	SET(Y0, Y1, Y8, AX, DX)
	SET(Y0, Y1, Y9, BX, DX)
	MOVQ BX, DX
	ORQ  R11, DX
	JZ   unescaped
	UNESCAPE(BX, R11, AX, CX, DX)

unescaped:
	TESTQ AX, AX
	JNZ   found
	ADDQ  $64, SI
	JMP   next

found:
	BSFQ AX, AX
	ADDQ AX, SI
	XORL R11, R11 // whatever comes behind the quote
	SUBQ p_base+0(FP), SI
	MOVQ SI, n+32(FP)
	MOVB $0, escaped+40(FP)
	MOVB $1, found+41(FP)
	VZEROUPPER
	RET

end:
	SUBQ p_base+0(FP), SI
	MOVQ SI, n+32(FP)
	MOVB R11, escaped+40(FP)
	MOVB $0, found+41(FP)
	VZEROUPPER
	RET
